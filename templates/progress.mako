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
<h1 id="title" tabindex="-1">\
% if failed:
<bdi>${instance.name}</bdi> did not start\
% elif changing:
Starting <bdi>${instance.name}</bdi>\
% else:
<bdi>${instance.name}</bdi> is ready\
% endif
</h1>
<div id="said" role="status">
% if failed:
<div class="summary">
<p><bdi>${instance.detail}</bdi></p>
% if advice:
<p class="advice">${advice}</p>
% endif
</div>
% elif changing:
<p class="lead"><bdi>${instance.detail or "It is being made."}</bdi></p>
% else:
<p class="lead">Everything is done.</p>
% endif
</div>
</div>
% if silent_since and changing:
<p class="banner warning">Docker, the program that runs the bots, has not answered since ${date(silent_since)}. This goes on when it does.</p>
% endif
% if progress:
${way.list(progress.steps)}
% endif
% if failed:
<div class="new-foot">
<form method="post" action="/dashboard/instances/${instance.id}/retry" hx-post="/dashboard/instances/${instance.id}/retry" hx-swap="none" hx-disabled-elt="find button">
<input type="hidden" name="back" value="progress">
<button class="button primary" type="submit">Try again</button>
</form>
<a class="button" href="/dashboard/instances/${instance.id}">Open the bot</a>
<a class="button" href="/dashboard">Back to Dashboard</a>
</div>
% else:
<p class="aside">You need not wait here: it goes on by itself, and <a href="/dashboard">the dashboard</a> shows how it is.</p>
% endif
</div>
</%block>
