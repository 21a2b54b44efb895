output "role_arn" {
  description = "The exporter's role; the role that other accounts trust."
  value       = aws_iam_role.exporter.arn
}

output "helm_values" {
  description = "Values of the chart, as YAML."
  value = yamlencode({
    serviceAccount = {
      name        = var.service_account
      annotations = local.irsa ? { "eks.amazonaws.com/role-arn" = aws_iam_role.exporter.arn } : {}
    }
    cloudtrail = {
      source     = var.trail_source
      queue      = local.queue ? aws_sqs_queue.trail[0].url : ""
      roles      = var.account_roles
      externalID = length(var.account_roles) > 0 ? var.external_id : ""
    }
  })
}
