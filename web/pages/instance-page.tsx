/** @jsxImportSource hono/jsx */
import type { InstanceDetails } from '../../db/instances.ts'
import { Layout, type Shell } from '../layout.tsx'
import { mayAll } from '../may.ts'
import { Instant } from '../parts/instant.tsx'
import { bytesText, countText } from '../parts/quantity.tsx'
import { transferSyntaxName } from '../parts/transfer-syntax.ts'
import { paths } from '../paths.ts'
import { pictureFacts } from './series-page.tsx'

/** One attribute, or one item of a sequence, as it is read. */
export interface AttributeLine {
  /** `00100020`; empty for an item. */
  tag: string
  name: string
  vr: string
  value: string
  /** Says who the patient is, or may. */
  isOfPatient: boolean
  /** How far in: each sequence and each item is one step. */
  depth: number
}

interface InstancePageProps {
  shell?: Shell | undefined
  instance: Omit<InstanceDetails, 'digest'> & { digest: string }
  lines: AttributeLine[]
  isCut: boolean
}

/** One instance: its picture, how it rests, and all of its attributes. */
export function InstancePage({ shell, instance, lines, isCut }: InstancePageProps) {
  const { studyInstanceUID, seriesInstanceUID, sopInstanceUID } = instance
  const may = shell?.may ?? mayAll
  const file = paths.instanceFile(studyInstanceUID, seriesInstanceUID, sopInstanceUID)
  return (
    <Layout title="Instance" current="studies" shell={shell} scripts={['attributes.js']}>
      <p class="back">
        <a href={paths.series(studyInstanceUID, seriesInstanceUID)} data-back>
          The series
        </a>
      </p>
      <h1>Instance {instance.instanceNumber}</h1>
      <div class="beside">
        {instance.rows !== null && (
          <img
            class="large"
            src={`${file}/thumbnail?viewport=256,256`}
            width={256}
            height={256}
            alt=""
          />
        )}
        <dl class="facts">
          <Fact name="SOP Instance UID">
            <span class="uid">{sopInstanceUID}</span>
          </Fact>
          <Fact name="Picture">{pictureFacts(instance) || 'none'}</Fact>
          <Fact name="Transfer Syntax">{transferSyntaxName(instance.transferSyntaxUID)}</Fact>
          <Fact name="Size">{bytesText(instance.byteLength)}</Fact>
          <Fact name="Received (UTC)">
            <Instant at={instance.receivedAt} />
          </Fact>
          <Fact name="Committed (UTC)">
            {instance.committedAt ? <Instant at={instance.committedAt} /> : 'nobody asked for it'}
          </Fact>
          {instance.damagedAt && (
            <Fact name="Found damaged (UTC)">
              <Instant at={instance.damagedAt} />
            </Fact>
          )}
          <Fact name="SHA-256 of the file">
            <span class="uid">{instance.digest}</span>
          </Fact>
          <Fact name="Retrieve">
            <a href={file}>File</a> · <a href={`${file}/metadata`}>Metadata</a> ·{' '}
            <a href={`${file}/rendered`}>Picture</a>
          </Fact>
          {may('POST /studies/:study/actions/:action') && (
            <Fact name="Actions">
              <a class="button second" href={paths.askAction(studyInstanceUID, 'delete', instance)}>
                Delete instance …
              </a>
            </Fact>
          )}
        </dl>
      </div>
      <h2>Attributes</h2>
      <p id="attribute-search" class="field" hidden>
        <label for="find">Find in tag, name or value</label>
        <input id="find" type="search" autocomplete="off" data-search />
        <span id="found" class="muted" role="status" />
      </p>
      <table id="attributes">
        <caption>
          {isCut
            ? `The first ${countText(lines.length)} lines`
            : `${countText(lines.length)} lines`}
        </caption>
        <thead>
          <tr>
            <th scope="col">Tag</th>
            <th scope="col">Name</th>
            <th scope="col">VR</th>
            <th scope="col">Value</th>
          </tr>
        </thead>
        <tbody>
          {lines.map(({ tag, name, vr, value, depth, isOfPatient }) => (
            <tr data-depth={Math.min(depth, 8)}>
              <td class="uid tag">{tag && `(${tag.slice(0, 4)},${tag.slice(4)})`}</td>
              <td>{name}</td>
              <td>{vr}</td>
              <td class="value">{isOfPatient ? <span data-patient>{value}</span> : value}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Layout>
  )
}

function Fact({ name, children }: { name: string; children: unknown }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  )
}
