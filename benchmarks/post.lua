-- wrk: POST one file again and again, then print one line for a program.
-- Without a `request` function wrk formats the request once, so this script costs nothing while it drives. A file with
-- @@@@@@@@ in it is another one every time: a number stands there.

function init(args)
  local file = assert(io.open(args[1], "rb"))
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  wrk.body = file:read("*a")
  file:close()
  local from, to = wrk.body:find("@@@@@@@@", 1, true)
  if from then
    local before, behind, number = wrk.body:sub(1, from - 1), wrk.body:sub(to + 1), 0
    function request()
      number = number + 1
      return wrk.format(nil, nil, nil, before .. string.format("%08d", number) .. behind)
    end
  end
end

function done(summary, latency)
  local errors = summary.errors
  local broken = errors.connect + errors.read + errors.write
  local line = '\nbench {"requests":%d,"duration_us":%d,"p50_us":%d,"p99_us":%d,"refused":%d,"broken":%d,"late":%d}\n'
  io.write(line:format(summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status, broken, errors.timeout))
end
