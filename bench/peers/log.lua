-- An exact sliding log per subject, in a sorted set, by the server's clock. Counts both or neither.
-- KEYS: address, email. ARGV: limit and window in ms of the address, then of the email, then a unique name for
-- the attempt.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local least = math.huge
for i = 1, 2 do
  redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now - ARGV[2 * i])
  least = math.min(least, ARGV[2 * i - 1] - redis.call('ZCARD', KEYS[i]))
end
if least <= 0 then
  return {0, 0}
end
for i = 1, 2 do
  redis.call('ZADD', KEYS[i], now, ARGV[5])
  redis.call('PEXPIRE', KEYS[i], ARGV[2 * i])
end
return {1, least - 1}
