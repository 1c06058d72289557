// How far measuring is, for eyes and for screen readers.
import { html } from "../preact.js";
import { duration, several } from "./words.js";

/** A bar while images wait or are measured; it is told aloud in steps of ten percent. */
export function Progress({ status }) {
  const { waiting, running, done, failed, set_aside: setAside } = status.images;
  const all = waiting + running + done + failed + setAside;
  const ended = done + failed + setAside;
  const isMeasuring = status.is_started && status.state !== "cancelled" && ended < all;
  const tenths = all ? Math.floor((10 * ended) / all) : 0;
  return html`
    <div>
      <p class="unseen" role="status">${isMeasuring ? `${10 * tenths} % measured` : all && status.is_started ? `${several(done, "image")} measured` : ""}</p>
      ${isMeasuring && html`
        <div class="progress">
          <progress max=${all} value=${ended} aria-label="Images measured"></progress>
          <span>${ended} of ${several(all, "image")} measured${ended ? pace(status) : "; the first takes some seconds"}</span>
        </div>
      `}
    </div>
  `;
}

function pace({ images_per_minute: perMinute, seconds_left: left, images }) {
  const parts = [];
  if (perMinute) parts.push(`${Math.round(perMinute)} a minute`);
  if (left) parts.push(`about ${duration(left)} left`);
  if (images.failed + images.set_aside) parts.push(`${images.failed + images.set_aside} failed`);
  return parts.length ? `, ${parts.join(", ")}` : "";
}
