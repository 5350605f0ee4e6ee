/** @jsxImportSource hono/jsx */
import { paths } from '../paths.ts'
import { Reason } from './reason.tsx'

/** An instance that was refused, or stored with a warning. */
export interface Finding {
  /** Number of the part in its transfer, from 0. */
  position: number
  reason: number
  detail: string
  studyInstanceUID?: string | null | undefined
  sopInstanceUID?: string | null | undefined
  /** As the sender called it; shown to nobody but the sender. */
  fileName?: string | undefined
  transferID?: string | undefined
}

interface FindingTableProps {
  caption: string
  findings: Finding[]
  /** Where they are of several transfers. */
  withTransfer?: boolean
}

/** Which parts, why, and what exactly. */
export function FindingTable({ caption, findings, withTransfer }: FindingTableProps) {
  return (
    <table class="findings">
      <caption>{caption}</caption>
      <thead>
        <tr>
          <th scope="col">Part</th>
          <th scope="col">Instance</th>
          <th scope="col">Reason</th>
          <th scope="col">Detail</th>
          {withTransfer && <th scope="col">Transfer</th>}
        </tr>
      </thead>
      <tbody>
        {findings.map((finding) => (
          <tr>
            <td data-label="Part">{finding.position + 1}</td>
            <td>
              {finding.fileName && <span class="file">{finding.fileName}</span>}
              {finding.sopInstanceUID ? (
                <small class="uid">{finding.sopInstanceUID}</small>
              ) : (
                <small>No SOP Instance UID could be read</small>
              )}
            </td>
            <td>
              <Reason reason={finding.reason} />
            </td>
            <td>{finding.detail}</td>
            {withTransfer && (
              <td data-label="Transfer">
                {finding.transferID && (
                  <a class="uid nowrap" href={paths.transfer(finding.transferID)}>
                    {finding.transferID.slice(0, 8)}
                  </a>
                )}
              </td>
            )}
          </tr>
        ))}
      </tbody>
    </table>
  )
}
