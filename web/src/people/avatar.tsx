// Face: somebody's initials in a circle, in a colour that is theirs everywhere. It goes with a name, and stands for none.
import { hueOf, initials } from './names.ts'

export function Face({ user, name }: { readonly user: string; readonly name: string }) {
  return (
    <span className={`face hue-${hueOf(user)}`} aria-hidden='true'>
      {initials(name)}
    </span>
  )
}
