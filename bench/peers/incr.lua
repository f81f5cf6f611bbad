-- A sliding counter per subject on two plain counters each, of this window and the one before, weighted. The client
-- computes keys and weight by its own clock, so that the script does as little as possible. Counts both or neither.
-- KEYS: the counters of this window and the one before of the address, then those of the email.
-- ARGV: limit, window in ms and weight of the window before, for the address and then for the email.
local counts = redis.call('MGET', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
local address = ARGV[1] - (counts[1] or 0) - math.floor((counts[2] or 0) * ARGV[3])
local email = ARGV[4] - (counts[3] or 0) - math.floor((counts[4] or 0) * ARGV[6])
local least = math.min(address, email)
if least <= 0 then
  return {0, 0}
end
if redis.call('INCR', KEYS[1]) == 1 then
  redis.call('PEXPIRE', KEYS[1], 2 * ARGV[2])
end
if redis.call('INCR', KEYS[3]) == 1 then
  redis.call('PEXPIRE', KEYS[3], 2 * ARGV[5])
end
return {1, least - 1}
