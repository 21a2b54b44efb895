# The image that `make image` builds without a container engine, for those who have one: docker build --build-arg VERSION=... .
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=unknown
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X github.com/prometheus/common/version.Version=$VERSION" -o /crossplane-exporter ./cmd/crossplane-exporter

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /crossplane-exporter /crossplane-exporter
USER 65532:65532
EXPOSE 9948/tcp
ENTRYPOINT ["/crossplane-exporter"]
