/**
 * The settings of the embedded Postgres, written to `stowage.conf` in the cluster at each start.
 *
 * `alter system` wins over this file, so an administrator can tune what is here without editing anything.
 */
const SETTINGS: [name: string, value: string, why: string][] = [
  ['max_connections', '100', 'ten for a server, and room for commands, psql and tests'],
  ['shared_buffers', '128MB', 'the file cache does the rest; the small machine must not starve'],
  ['max_wal_size', '2GB', 'a checkpoint every few minutes at most while studies pour in'],
  ['fsync', 'on', 'promise P2: what was acknowledged survives'],
  ['full_page_writes', 'on', 'a torn page after a power cut is repaired'],
  ['synchronous_commit', 'on', 'an answer is sent after the commit record is on disk'],
  ['timezone', 'UTC', 'instants are timestamptz; people see their own zone in the page'],
  ['log_timezone', 'UTC', 'the same clock as our own log'],
  ['idle_in_transaction_session_timeout', '60s', 'a server that hangs must not hold row locks'],
  // The log: rotating by weekday, each file truncated when its day comes again.
  ['logging_collector', 'on', 'the log outlives the server that started Postgres'],
  ['log_directory', 'log', 'inside the cluster, which only its own account can read'],
  ['log_filename', 'postgresql-%a.log', 'seven files'],
  ['log_rotation_age', '1d', 'one for each weekday'],
  ['log_rotation_size', '0', 'a rotation by size would not truncate'],
  ['log_truncate_on_rotation', 'on', 'last week is overwritten'],
  // Promise P10. The text of an error may quote a value ("invalid input syntax for type ..."), so errors of
  // statements stay out altogether (LOG ranks above ERROR); the server gets them and says what may be said.
  ['log_min_messages', 'log', 'no statement errors'],
  ['log_min_error_statement', 'panic', 'no statement text'],
  ['log_error_verbosity', 'terse', 'no DETAIL, where key values stand'],
  ['log_statement', 'none', 'no statements'],
  ['log_min_duration_statement', '-1', 'no slow statements either'],
  ['log_parameter_max_length', '0', 'no parameters'],
  ['log_parameter_max_length_on_error', '0', 'no parameters of failed statements'],
  ['log_checkpoints', 'off', 'nothing to learn from'],
  ['log_connections', '', 'off: connections come and go all day'],
  ['log_disconnections', 'off', 'as above'],
]

/** How clients reach the cluster: a socket in a folder of its own, or TCP on 127.0.0.1 where there are no sockets. */
export type Door =
  | { kind: 'socket'; folder: string; port: number }
  | { kind: 'tcp'; port: number; password: string }

export function renderSettings(door: Door): string {
  const doorSettings: typeof SETTINGS =
    door.kind === 'socket'
      ? [
          ['listen_addresses', '', 'no TCP at all'],
          ['unix_socket_directories', door.folder, 'a folder that only the account can enter'],
          ['unix_socket_permissions', '0700', 'and a socket that only it and root can open'],
          ['port', String(door.port), 'only part of the name of the socket'],
        ]
      : [
          ['listen_addresses', '127.0.0.1', 'there are no sockets on this system'],
          ['unix_socket_directories', '', 'as above'],
          ['port', String(door.port), 'a free one below the ephemeral range'],
          ['password_encryption', 'scram-sha-256', 'TCP never without a password'],
        ]
  const lines = [...SETTINGS, ...doorSettings].map(
    ([name, value, why]) => `${name} = '${value.replaceAll("'", "''")}'  # ${why}`,
  )
  return `# Written by Stowage at each start. To change a setting: alter system set ...\n${lines.join('\n')}\n`
}

/** The database user and the database of everything that Stowage keeps. */
export const DATABASE_USER = 'stowage'
export const DATABASE_NAME = 'stowage'

/** Who may come in: over the socket who the kernel says he is (peer), over TCP who knows the password. */
export function renderHostRules(
  door: Door,
  accountNames: string[],
): { hba: string; ident: string } {
  if (door.kind === 'tcp') {
    return { hba: 'host all all 127.0.0.1/32 scram-sha-256\n', ident: '' }
  }
  // Without a name for the uid (a container with a made-up one) peer cannot be asked; the folder is 0700 anyway.
  const nameless = accountNames.some((name) => name.startsWith('uid '))
  return {
    hba: nameless ? 'local all all trust\n' : `local all ${DATABASE_USER} peer map=stowage\n`,
    ident: accountNames.map((name) => `stowage "${name}" ${DATABASE_USER}\n`).join(''),
  }
}
