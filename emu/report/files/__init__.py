"""A recording as files of other tools: Perfetto, Chrome's JSON, uftrace, tables; coverage as drcov."""
