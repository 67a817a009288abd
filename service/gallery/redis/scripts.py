"""What runs inside Redis, whole or not at all. Each gives the same answer when the client sends it twice, but
TAKE, which then counts twice.

The head of a gallery is a hash: `store` (its id), `version` (how many commits there were), `floor` (the version before
the first entry of the log), `schema`. The log says of each commit what it touched; `requests` who made
the last 1 000.
"""

# ARGV from `first` on: four for each record: set | del | keep | drop, the number of a key, field, value.
_APPLY = """
local function apply(first)
  for i = first, #ARGV, 4 do
    local verb, key = ARGV[i], KEYS[tonumber(ARGV[i + 1])]
    if verb == 'set' then redis.call('HSET', key, ARGV[i + 2], ARGV[i + 3])
    elseif verb == 'del' then redis.call('HDEL', key, ARGV[i + 2])
    elseif verb == 'keep' then redis.call('SETNX', key, ARGV[i + 3])
    else redis.call('DEL', key) end
  end
end
"""

# KEYS: head, and what is written. ARGV: store, schema, records.
BEGIN = f"""{_APPLY}
if redis.call('EXISTS', KEYS[1]) == 1 then return redis.call('HGET', KEYS[1], 'store') end
redis.call('HSET', KEYS[1], 'store', ARGV[1], 'schema', ARGV[2], 'version', 1, 'floor', 1)
apply(3)
return ARGV[1]
"""

# KEYS: head, log, requests, and what is written. ARGV: store, version, request, entry ('': nothing is), how many
# entries to keep, records.
COMMIT = f"""{_APPLY}
local head = redis.call('HMGET', KEYS[1], 'store', 'version')
if head[1] ~= ARGV[1] then return 'lost' end
local version, mine = tonumber(head[2]), tonumber(ARGV[2])
if version < mine then return 'lost' end
if version > mine then
  local place = mine - version + redis.call('LLEN', KEYS[3])
  if place >= 0 and redis.call('LINDEX', KEYS[3], place) == ARGV[3] then return 'kept' end
  return 'behind'
end
if ARGV[4] == '' then return 'kept' end
apply(6)
redis.call('RPUSH', KEYS[2], ARGV[4])
redis.call('RPUSH', KEYS[3], ARGV[3])
redis.call('LTRIM', KEYS[3], -1000, -1)
redis.call('HINCRBY', KEYS[1], 'version', 1)
local over = redis.call('LLEN', KEYS[2]) - tonumber(ARGV[5])
if over > 0 then
  redis.call('LTRIM', KEYS[2], over, -1)
  redis.call('HINCRBY', KEYS[1], 'floor', over)
end
return 'kept'
"""

# KEYS: head, log. ARGV: version, at most how many entries after it.
NEWS = """
local head = redis.call('HMGET', KEYS[1], 'store', 'version', 'floor', 'schema')
if not head[1] then return {} end
local first = tonumber(ARGV[1]) - tonumber(head[3])
local entries = {}
if first >= 0 then entries = redis.call('LRANGE', KEYS[2], first, first + tonumber(ARGV[2]) - 1) end
return {head[1], head[2], head[3], head[4], entries}
"""

# KEYS: head, services. ARGV: store, home id, version. A service that was silent for a day is forgotten.
BEAT = """
if redis.call('HGET', KEYS[1], 'store') ~= ARGV[1] then return 'lost' end
local now = tonumber(redis.call('TIME')[1])
local all = redis.call('HGETALL', KEYS[2])
for i = 1, #all, 2 do
  if now - tonumber(string.match(all[i + 1], ' (%d+)')) > 86400 then redis.call('HDEL', KEYS[2], all[i]) end
end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3] .. ' ' .. now)
return 'kept'
"""

# KEYS: services. ARGV: of how many seconds. The lowest version of those that were heard of since.
SLOWEST = """
local now, slowest = tonumber(redis.call('TIME')[1]), -1
local all = redis.call('HGETALL', KEYS[1])
for i = 2, #all, 2 do
  local version, at = string.match(all[i], '(%d+) (%d+)')
  if now - tonumber(at) <= tonumber(ARGV[1]) and (slowest < 0 or tonumber(version) < slowest) then
    slowest = tonumber(version)
  end
end
return slowest
"""

# KEYS: services. ARGV: of how many seconds. The home ids of those that were heard of since.
HEARD = """
local now, heard = tonumber(redis.call('TIME')[1]), {}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  if now - tonumber(string.match(all[i + 1], ' (%d+)')) <= tonumber(ARGV[1]) then table.insert(heard, all[i]) end
end
return heard
"""

# KEYS: a bucket. ARGV: requests a minute. How many seconds until one is let through; 0: it is, and was counted. A
# bucket that nobody took from for a minute is full, and forgotten.
TAKE = """
local time = redis.call('TIME')
local now, most = tonumber(time[1]) + tonumber(time[2]) / 1e6, tonumber(ARGV[1])
local held = redis.call('HMGET', KEYS[1], 'left', 'at')
local left = most
if held[1] then left = math.min(most, tonumber(held[1]) + math.max(0, now - tonumber(held[2])) * most / 60) end
local wait = 0
if left >= 1 then left = left - 1 else wait = (1 - left) * 60 / most end
redis.call('HSET', KEYS[1], 'left', string.format('%.6f', left), 'at', string.format('%.6f', now))
redis.call('EXPIRE', KEYS[1], 61)
return string.format('%.6f', wait)
"""

# KEYS: head, log. ARGV: the version up to which the log is to be forgotten.
FORGET = """
local floor = tonumber(redis.call('HGET', KEYS[1], 'floor'))
local over = floor and tonumber(ARGV[1]) - floor or 0
if over > 0 then
  redis.call('LTRIM', KEYS[2], over, -1)
  redis.call('HINCRBY', KEYS[1], 'floor', over)
end
return over
"""
