// The programs that make run, make test and make check need, each built from its Go module at one exact version.
module crossplane-exporter/tools

go 1.26.0
