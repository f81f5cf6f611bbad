-- The generic cell rate algorithm per subject, by the server's clock: the key holds when the bucket will be empty, in
-- microseconds. A burst may be the whole limit. Counts both or neither.
-- KEYS: address, email. ARGV: limit and window in ms of the address, then of the email.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local least = math.huge
local empty_at = {}
for i = 1, 2 do
  local limit, window = tonumber(ARGV[2 * i - 1]), ARGV[2 * i] * 1000
  local interval = window / limit
  local at = math.max(tonumber(redis.call('GET', KEYS[i]) or 0), now) + interval
  least = math.min(least, math.floor((window - (at - now)) / interval))
  empty_at[i] = at
end
if least < 0 then
  return {0, 0}
end
for i = 1, 2 do
  local wait = math.ceil((empty_at[i] - now) / 1000)
  redis.call('SET', KEYS[i], string.format('%.0f', empty_at[i]), 'PX', wait)
end
return {1, least}
