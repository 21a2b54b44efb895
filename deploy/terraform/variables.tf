variable "name" {
  description = "Name of the role, and of the queue and the rule."
  type        = string
  default     = "crossplane-exporter"
}

variable "cluster_name" {
  description = "Name of the EKS cluster."
  type        = string
}

variable "oidc_provider_arn" {
  description = "ARN of the cluster's OIDC provider, for IRSA. Without it the role is given by Pod Identity, which needs its agent in the cluster."
  type        = string
  default     = null
}

variable "namespace" {
  description = "Namespace of the exporter."
  type        = string
  default     = "monitoring"
}

variable "service_account" {
  description = "ServiceAccount of the exporter."
  type        = string
  default     = "crossplane-exporter"
}

variable "trail_source" {
  description = "How CloudTrail is read: lookup, s3 or eventbridge."
  type        = string
  default     = "lookup"
  validation {
    condition     = contains(["lookup", "s3", "eventbridge"], var.trail_source)
    error_message = "trail_source is lookup, s3 or eventbridge."
  }
}

variable "bucket" {
  description = "Bucket of the trail, for s3."
  type        = string
  default     = ""
}

variable "bucket_account" {
  description = "Account that the bucket is in, for s3. By default this one."
  type        = string
  default     = null
}

variable "prefix" {
  description = "What the keys of log files have before AWSLogs/, with a slash at its end; for s3."
  type        = string
  default     = ""
}

variable "kms_key_arn" {
  description = "Key that the trail's files are encrypted with, for s3."
  type        = string
  default     = null
}

variable "reads" {
  description = "Have EventBridge send reads too. They can be a hundred times as many as the writes."
  type        = bool
  default     = false
}

variable "account_roles" {
  description = "ARNs of the roles in other accounts, as made by the module account; for lookup."
  type        = list(string)
  default     = []
}

variable "external_id" {
  description = "What those roles want to be told, as the module account has it."
  type        = string
  default     = "crossplane-exporter"
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
  default     = {}
}
