# The queue for log files in S3, or for events of EventBridge. One exporter reads it.
resource "aws_sqs_queue" "trail" {
  count = local.queue ? 1 : 0
  name  = var.name
  # An exporter that is away for two days goes on where it was.
  message_retention_seconds  = 172800
  visibility_timeout_seconds = 120
  sqs_managed_sse_enabled    = true
  tags                       = var.tags
  lifecycle {
    precondition {
      condition     = var.trail_source != "s3" || var.bucket != ""
      error_message = "With trail_source s3, bucket is the trail's."
    }
  }
}

resource "aws_sqs_queue_policy" "trail" {
  count     = local.queue ? 1 : 0
  queue_url = aws_sqs_queue.trail[0].id
  policy    = data.aws_iam_policy_document.queue[0].json
}

data "aws_iam_policy_document" "queue" {
  count = local.queue ? 1 : 0
  statement {
    sid       = "Send"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.trail[0].arn]
    principals {
      type        = "Service"
      identifiers = [var.trail_source == "s3" ? "s3.amazonaws.com" : "events.amazonaws.com"]
    }
    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values = [
        var.trail_source == "s3"
        ? "arn:${data.aws_partition.current.partition}:s3:::${var.bucket}"
        : "arn:${data.aws_partition.current.partition}:events:${local.region}:${local.account}:rule/${var.name}"
      ]
    }
    # A bucket's ARN does not say whose it is: when it is deleted, anybody may make one of that name.
    dynamic "condition" {
      for_each = var.trail_source == "s3" ? [true] : []
      content {
        test     = "StringEquals"
        variable = "aws:SourceAccount"
        values   = [coalesce(var.bucket_account, local.account)]
      }
    }
  }
}

# The bucket's notifications are not made here: Terraform knows only all of a bucket's together, and somebody else may have some. It
# takes one to the queue, for s3:ObjectCreated:* and the suffix .json.gz.

resource "aws_cloudwatch_event_rule" "trail" {
  count         = var.trail_source == "eventbridge" ? 1 : 0
  name          = var.name
  description   = "Calls of AWS' APIs, for crossplane-exporter"
  event_pattern = jsonencode({ "detail-type" = ["AWS API Call via CloudTrail"] })
  # Without reads, which EventBridge leaves out of ENABLED: out-of-band changes are writes, throttled reads are not seen.
  state = var.reads ? "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS" : "ENABLED"
  tags  = var.tags
}

resource "aws_cloudwatch_event_target" "trail" {
  count = var.trail_source == "eventbridge" ? 1 : 0
  rule  = aws_cloudwatch_event_rule.trail[0].name
  arn   = aws_sqs_queue.trail[0].arn
}
