<%inherit file="signed_in.mako"/>
<%namespace name="way" file="components/steps.mako"/>
<%block name="title">Creating ${instance.name}</%block>
<%block name="scripts">
<link rel="stylesheet" href="${static('steps.css')}">
<link rel="stylesheet" href="${static('new.css')}">
<script src="${static('live.js')}" type="module"></script>
<script src="${static('progress.js')}" type="module"></script>
% if changing:
<noscript><meta http-equiv="refresh" content="2"></noscript>
% endif
</%block>
<%block name="live">
<% failed = not changing and not leads_to %>
<div id="live" class="new" hx-ext="morph" hx-get="/dashboard/instances/${instance.id}/progress" hx-trigger="refresh, changed from:body" hx-swap="morph:outerHTML" hx-sync="this:replace" data-changing="${int(changing)}" data-leads-to="${leads_to}">
<div class="new-head">
<h1 id="title" tabindex="-1"><bdi>${instance.name}</bdi></h1>
<p class="lead">${"Did not start" if failed else "Ready" if not changing else "Waiting for Docker" if silent_since else "Starting…"}</p>
</div>
% if progress:
${way.list(progress.steps)}
% endif
## Below the steps, so that they stay where they are whatever is said here.
<div class="said" id="said" role="status">
% if failed:
<div class="summary">
<p><bdi>${instance.detail}</bdi></p>
% if advice:
<p class="advice">${advice}</p>
% endif
</div>
% elif changing:
% if silent_since:
<p>Docker, the program that runs the bots, has not answered since <time datetime="${silent_since.isoformat()}">${date(silent_since)}</time>. This goes on when it does.</p>
% else:
<p class="aside">You need not wait: it goes on without you, and <a href="/dashboard">the dashboard</a> shows how it is.</p>
% endif
## Last, because it may be a line longer or shorter than the sentence before.
<p><bdi>${instance.detail or "It is being made."}</bdi></p>
% else:
<p>Everything is done.</p>
% endif
</div>
% if failed:
<div class="new-foot">
<form method="post" action="/dashboard/instances/${instance.id}/retry" hx-post="/dashboard/instances/${instance.id}/retry" hx-swap="none" hx-disabled-elt="find button">
<input type="hidden" name="back" value="progress">
<button class="button primary" type="submit">Try again</button>
</form>
<a class="button" href="/dashboard/instances/${instance.id}">Open the bot</a>
<a class="button" href="/dashboard">Back to Dashboard</a>
</div>
% endif
</div>
</%block>
