-- KEYS[1] a page's name; ARGV: the page, its life in milliseconds. 1: kept; 0: one from a later snapshot stands there.
local old = redis.pcall('GETRANGE', KEYS[1], 0, 34)
local new = ARGV[1]
-- What is no string is none of ours.
if type(old) == 'string' and #old == 35 and old:sub(1, 19) == new:sub(1, 19) then
  local old_seq, old_fence = struct.unpack('>I8I8', old, 20)
  local new_seq, new_fence = struct.unpack('>I8I8', new, 20)
  if old_seq > new_seq or (old_seq == new_seq and old_fence > new_fence) then
    return 0
  end
end
redis.call('SET', KEYS[1], new, 'PX', ARGV[2])
return 1
