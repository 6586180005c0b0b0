// LinkLine: a link, to be copied by a button or by hand: without a secure connection there is no clipboard.
import { CopyButton } from '../shared/copy-button.tsx'

export function LinkLine({ link, label }: { readonly link: string; readonly label: string }) {
  return (
    <div className='link-line'>
      <input type='text' readOnly value={link} aria-label='Link' onFocus={(event) => event.currentTarget.select()} />
      <CopyButton className='button' text={link} label={label} />
    </div>
  )
}
