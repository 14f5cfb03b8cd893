-- For wrk: each request is that of the next browser of a file with a cookie in each line.
local cookies = {}
for line in io.lines(os.getenv("BENCHMARK_COOKIES")) do
  cookies[#cookies + 1] = line
end
local turn = 0

request = function()
  turn = turn % #cookies + 1
  return wrk.format("GET", nil, { Cookie = cookies[turn] })
end
