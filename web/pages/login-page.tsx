/** @jsxImportSource hono/jsx */
import { Layout, type Shell } from '../layout.tsx'
import { paths } from '../paths.ts'

interface LoginPageProps {
  /** Without what the database says of the archive, which is nothing for strangers. */
  shell: Shell
  /** Who is signed in here already. */
  userName?: string | undefined
  /** Where to go on. */
  next: string
  /** Why it did not work. */
  failure?: string | undefined
  /** Host name of the OpenID Connect provider, where people may sign in through one. */
  provider?: string | undefined
}

/** Where people sign in: through a provider, or with a name and a password. Works without JavaScript. */
export function LoginPage({ shell, userName, next, failure, provider }: LoginPageProps) {
  return (
    <Layout title="Sign in" shell={shell}>
      <h1>Sign in</h1>
      {failure === undefined ? null : (
        <p class="notice" data-tone="danger" role="alert">
          {failure}
        </p>
      )}
      {userName === undefined ? null : (
        <form method="post" action={paths.logout}>
          <p>
            You are signed in as {userName}. <button type="submit">Sign out</button>
          </p>
        </form>
      )}
      {provider === undefined ? null : (
        <p>
          <a class="button" href={paths.loginAtProvider(next)}>
            Sign in through {provider}
          </a>
        </p>
      )}
      <form class="upload" method="post" action={paths.login()}>
        <input type="hidden" name="next" value={next} />
        <div class="field">
          <label for="name">Name</label>
          <input id="name" name="name" autocomplete="username" autocapitalize="none" required />
        </div>
        <div class="field">
          <label for="password">Password</label>
          <input
            id="password"
            type="password"
            name="password"
            autocomplete="current-password"
            required
          />
        </div>
        <p class="muted">
          Names and passwords are made on the server: <code>stowage password NAME</code>
        </p>
        <button type="submit">Sign in</button>
      </form>
    </Layout>
  )
}
