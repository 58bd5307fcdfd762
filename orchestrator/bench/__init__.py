"""What a hedger costs a real service: nsd asked by dnsperf, in network namespaces that are made for it."""
