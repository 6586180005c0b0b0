// How components read the authentication state.
import { createContext, use } from 'react'
import { useStore } from '../shared/store.ts'
import type { Auth, AuthState } from './auth.ts'

export const AuthContext = createContext<Auth | undefined>(undefined)

export function useAuth(): { readonly auth: Auth; readonly state: AuthState } {
  const auth = use(AuthContext)
  if (auth === undefined) throw new Error('useAuth must be called inside AuthContext.')
  return { auth, state: useStore(auth) }
}
