# The exporter's role on EKS, by IRSA or Pod Identity, with the rights for one way to read CloudTrail, and the queue if that takes
# one. An example to copy: two providers, no state of its own.
#
#   module "crossplane_exporter" {
#     source            = "./deploy/terraform"
#     cluster_name      = "production"
#     oidc_provider_arn = aws_iam_openid_connect_provider.cluster.arn
#   }

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.40, < 7.0"
    }
  }
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account = data.aws_caller_identity.current.account_id
  # The id is what version 5 of the provider calls name, and version 6 region.
  region = data.aws_region.current.id
  # What the provider's ARN has behind its first slash: the issuer without its scheme.
  oidc_issuer = var.oidc_provider_arn == null ? "" : join("/", slice(split("/", var.oidc_provider_arn), 1, length(split("/", var.oidc_provider_arn))))
  irsa        = var.oidc_provider_arn != null
  queue       = var.trail_source == "eventbridge" || var.trail_source == "s3"
}

resource "aws_iam_role" "exporter" {
  name               = var.name
  description        = "crossplane-exporter reads CloudTrail"
  assume_role_policy = local.irsa ? data.aws_iam_policy_document.irsa.json : data.aws_iam_policy_document.pod_identity.json
  tags               = var.tags
}

resource "aws_iam_role_policy" "trail" {
  name   = "cloudtrail"
  role   = aws_iam_role.exporter.id
  policy = data.aws_iam_policy_document.trail.json
}

resource "aws_eks_pod_identity_association" "exporter" {
  count           = local.irsa ? 0 : 1
  cluster_name    = var.cluster_name
  namespace       = var.namespace
  service_account = var.service_account
  role_arn        = aws_iam_role.exporter.arn
  tags            = var.tags
}

data "aws_iam_policy_document" "irsa" {
  statement {
    sid     = "ServiceAccount"
    actions = ["sts:AssumeRoleWithWebIdentity"]
    principals {
      type        = "Federated"
      identifiers = [coalesce(var.oidc_provider_arn, "none")]
    }
    condition {
      test     = "StringEquals"
      variable = "${local.oidc_issuer}:aud"
      values   = ["sts.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "${local.oidc_issuer}:sub"
      values   = ["system:serviceaccount:${var.namespace}:${var.service_account}"]
    }
  }
}

data "aws_iam_policy_document" "pod_identity" {
  statement {
    sid     = "PodIdentity"
    actions = ["sts:AssumeRole", "sts:TagSession"]
    principals {
      type        = "Service"
      identifiers = ["pods.eks.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:RequestTag/kubernetes-namespace"
      values   = [var.namespace]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:RequestTag/kubernetes-service-account"
      values   = [var.service_account]
    }
  }
}

data "aws_iam_policy_document" "trail" {
  dynamic "statement" {
    for_each = var.trail_source == "lookup" ? [true] : []
    content {
      sid       = "Lookup"
      actions   = ["cloudtrail:LookupEvents"]
      resources = ["*"]
    }
  }
  dynamic "statement" {
    for_each = local.queue ? [true] : []
    content {
      sid       = "Queue"
      actions   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"]
      resources = [aws_sqs_queue.trail[0].arn]
    }
  }
  dynamic "statement" {
    for_each = var.trail_source == "s3" ? [true] : []
    content {
      sid       = "LogFiles"
      actions   = ["s3:GetObject"]
      resources = ["arn:${data.aws_partition.current.partition}:s3:::${var.bucket}/${var.prefix}AWSLogs/*"]
    }
  }
  dynamic "statement" {
    for_each = var.trail_source == "s3" && var.kms_key_arn != null ? [true] : []
    content {
      sid       = "Decrypt"
      actions   = ["kms:Decrypt"]
      resources = [var.kms_key_arn]
      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = ["s3.${local.region}.${data.aws_partition.current.dns_suffix}"]
      }
    }
  }
  dynamic "statement" {
    for_each = length(var.account_roles) > 0 ? [true] : []
    content {
      sid       = "OtherAccounts"
      actions   = ["sts:AssumeRole"]
      resources = var.account_roles
    }
  }
}
