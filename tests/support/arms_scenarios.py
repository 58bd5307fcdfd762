"""Small scenarios with arms, faults and matrices, for what is made of a run's records."""

from __future__ import annotations

_BASE = """
version: 1
name: pauses
description: Pauses here and there
topology: {replicas: 3}
service: {service_time: 2ms}
workload:
  requests: 1000
  warmup: 5
  spread: round-robin
  timeout: 150ms
  arrivals: {mode: open, rate: 500/s, process: constant}
hedging: {delay: 10ms, target: other}
strategies: [baseline, app-deadline, kernel]
design: {blocks: 5}
"""

#: The client paused for 100 of 398 ms, or one of three servers: there the hedge goes to another one.
ARMS = f"""{_BASE}
arms:
  client-paused:
    service: {{service_time: 30ms}}
    strategies: [app-deadline, kernel]
    faults:
      - {{fault: pause, target: client, at: 100ms, duration: 100ms}}
    claims:
      - {{id: punctual, expect: "lateness_p99(kernel) <= 1ms"}}
  one-server-paused:
    faults:
      - {{fault: pause, target: server-0, at: 100ms, duration: 200ms}}
      - {{fault: loss, target: servers, percent: 1}}
    claims:
      - {{id: rescued, expect: "p99(kernel) <= 25ms"}}
claims:
  - {{id: sent, expect: "send_lateness_p50(kernel) <= 1ms"}}
  - id: app-late
    expect: "lateness_max(app-deadline@client-paused) > 10 * lateness_max(app-deadline@one-server-paused)"
"""

#: A sweep of the hedge delay; in the last arm hedging comes too late to matter.
SWEEP = f"""{_BASE}
faults:
  - {{fault: pause, target: server-0, at: 100ms, duration: 100ms}}
matrix:
  hedging.delay: [5ms, 20ms, 100ms]
claims:
  - {{id: grows, expect: "p99(kernel@delay=5ms) < p99(kernel@delay=20ms)"}}
"""

#: Two swept keys.
GRID = f"""{_BASE}
matrix:
  hedging.delay: [5ms, 10ms, 20ms]
  hedging.target: [same, other]
"""
