// Avatar: a user's initials in a circle, in the user's colour. It accompanies the name and does not replace it.
import { hueOf, initials } from './names.ts'

export function Avatar({ user, name }: { readonly user: string; readonly name: string }) {
  return (
    <span className={`avatar hue-${hueOf(user)}`} aria-hidden='true'>
      {initials(name)}
    </span>
  )
}
