-- One subject per call, as the sliding window of @upstash/ratelimit 2.2.0 does it (MIT licence;
-- slidingWindowLimitScript in src/lua-scripts/single.ts): the same commands in the same order, rewritten. By the client's clock.
-- KEYS: this window's counter, the one before's, and the key of a dynamic limit, empty by default.
-- ARGV: limit, now in ms, window in ms, increment.
local limit = tonumber(ARGV[1])
if KEYS[3] and KEYS[3] ~= '' then
  limit = tonumber(redis.call('GET', KEYS[3]) or limit)
end
local current = tonumber(redis.call('GET', KEYS[1]) or 0)
local previous = tonumber(redis.call('GET', KEYS[2]) or 0)
previous = math.floor((1 - (ARGV[2] % ARGV[3]) / ARGV[3]) * previous)
if tonumber(ARGV[4]) > 0 and previous + current >= limit then
  return {-1, limit}
end
local count = redis.call('INCRBY', KEYS[1], ARGV[4])
if count == tonumber(ARGV[4]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[3] * 2 + 1000)
end
return {limit - count - previous, limit}
