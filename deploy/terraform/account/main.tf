# The role in another account, which the exporter assumes to look up the account's trail. Apply it with a provider of that account.
#
#   module "crossplane_exporter_staging" {
#     source       = "./deploy/terraform/account"
#     providers    = { aws = aws.staging }
#     exporter_arn = module.crossplane_exporter.role_arn
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

variable "name" {
  description = "Name of the role."
  type        = string
  default     = "crossplane-exporter"
}

variable "exporter_arn" {
  description = "ARN of the exporter's own role."
  type        = string
}

variable "external_id" {
  description = "What the exporter has to say: --cloudtrail.external-id, cloudtrail.externalID of the chart."
  type        = string
  default     = "crossplane-exporter"
}

data "aws_iam_policy_document" "trust" {
  statement {
    sid     = "Exporter"
    actions = ["sts:AssumeRole"]
    principals {
      type        = "AWS"
      identifiers = [var.exporter_arn]
    }
    condition {
      test     = "StringEquals"
      variable = "sts:ExternalId"
      values   = [var.external_id]
    }
  }
}

data "aws_iam_policy_document" "lookup" {
  statement {
    sid       = "Lookup"
    actions   = ["cloudtrail:LookupEvents"]
    resources = ["*"]
  }
}

resource "aws_iam_role" "exporter" {
  name               = var.name
  description        = "crossplane-exporter reads CloudTrail"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

resource "aws_iam_role_policy" "trail" {
  name   = "cloudtrail"
  role   = aws_iam_role.exporter.id
  policy = data.aws_iam_policy_document.lookup.json
}

output "role_arn" {
  description = "For cloudtrail.roles of the chart, and account_roles of the module above."
  value       = aws_iam_role.exporter.arn
}
