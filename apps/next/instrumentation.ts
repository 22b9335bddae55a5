/** Next calls this before there is traffic: a server that cannot take payments shall not start. */
export async function register(): Promise<void> {
  if (process.env.NEXT_RUNTIME !== 'nodejs') return
  const { mpp } = await import('./lib/mpp.ts')
  await mpp.check()
}
