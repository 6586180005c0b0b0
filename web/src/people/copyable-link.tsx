// CopyableLink: a link with a copy button. The field allows copying by hand, because the browser may deny access to the clipboard.
import { CopyButton } from '../shared/copy-button.tsx'

export function CopyableLink({ link, label }: { readonly link: string; readonly label: string }) {
  return (
    <div className='copyable-link'>
      <input type='text' readOnly value={link} aria-label='Link' onFocus={(event) => event.currentTarget.select()} />
      <CopyButton className='button' text={link} label={label} />
    </div>
  )
}
