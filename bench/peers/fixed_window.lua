-- One subject per call, as RateLimiterRedis of rate-limiter-flexible 11.4.0 does it (ISC licence; incrTtlLuaScript in
-- lib/RateLimiterRedis.js): the same commands in the same order, rewritten. A window begins with its first
-- attempt; the client compares the count with the limit.
-- KEYS: the counter. ARGV: points, window in s.
redis.call('SET', KEYS[1], 0, 'EX', ARGV[2], 'NX')
local count = redis.call('INCRBY', KEYS[1], ARGV[1])
local wait = redis.call('PTTL', KEYS[1])
if wait == -1 then
  redis.call('EXPIRE', KEYS[1], ARGV[2])
  wait = 1000 * ARGV[2]
end
return {count, wait}
