-- Forgets all work. KEYS: set of environments, cursors. ARGV: prefixes of the work streams, the indexes and the passed over.
for _, name in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  redis.call('UNLINK', ARGV[1] .. name, ARGV[2] .. name, ARGV[3] .. name)
end
return redis.call('UNLINK', KEYS[1], KEYS[2])
