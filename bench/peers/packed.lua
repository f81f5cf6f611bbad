-- A sliding counter per subject, packed into one string each: the window's number, the counts of the window before
-- and of this one. By the server's clock. Admits if both subjects admit, and counts both or neither.
-- KEYS: address, email. ARGV: limit and window in ms of the address, limit and window of the email.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local least = math.huge
local packed = {}
for i = 1, 2 do
  local limit, window = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local number = math.floor(now / window)
  local previous, current = 0, 0
  local value = redis.call('GET', KEYS[i])
  if value then
    local stored, before, count = struct.unpack('>I4I4I4', value)
    if stored == number then
      previous, current = before, count
    elseif stored == number - 1 then
      previous = count
    end
  end
  local weight = 1 - (now % window) / window
  least = math.min(least, limit - current - math.floor(previous * weight))
  packed[i] = struct.pack('>I4I4I4', number, previous, current + 1)
end
if least <= 0 then
  return {0, 0}
end
redis.call('SET', KEYS[1], packed[1], 'PX', 2 * ARGV[2])
redis.call('SET', KEYS[2], packed[2], 'PX', 2 * ARGV[4])
return {1, least - 1}
