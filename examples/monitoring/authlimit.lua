-- For redis_exporter --script: returns the section authlimit of INFO as alternating names and values, all strings.
-- Each pair becomes redis_script_values{key="authlimit_..."}.
local found = {}
for name, number in redis.call('INFO', 'authlimit'):gmatch('(authlimit_[%w_]+):(%d+)\r\n') do
  found[#found + 1] = name
  found[#found + 1] = number
end
return found
