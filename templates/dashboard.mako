<%inherit file="signed_in.mako"/>
<%namespace name="bot" file="components/bot.mako"/>
<%block name="title">Dashboard</%block>
<%block name="scripts">
<link rel="stylesheet" href="${static('dashboard.css')}">
<script src="${static('live.js')}" type="module"></script>
</%block>
<div class="page-head">
<h1>Your bots</h1>
<p class="aside" data-updated></p>
<a class="button primary" href="/dashboard/new">New bot</a>
</div>
<%block name="live">
<div id="live" hx-ext="morph" hx-get="${asked.address()}" hx-trigger="refresh, changed from:body" hx-swap="morph:outerHTML" hx-sync="this:replace" data-changing="${int(changing)}">
% if silent_since:
<p class="banner warning">Docker has not answered since ${date(silent_since)}. What you see is what was last known; your bots may well be running.</p>
% endif
% if found.instances:
<ul class="cards">
% for instance in found.instances:
<li class="card" id="bot-${instance.id}">
<div class="card-head">
<h2><a href="/dashboard/instances/${instance.id}"><bdi>${instance.name}</bdi></a></h2>
${bot.badge(instance)}
</div>
% if instance.detail:
<p class="reason"><bdi>${instance.detail}</bdi></p>
% endif
<dl>
<div><dt>Model</dt><dd>${labels.get(instance.model, instance.model)}</dd></div>
<div><dt>Channel</dt><dd>${labels.get(instance.channel, instance.channel)}</dd></div>
<div><dt>Created</dt><dd><time datetime="${instance.created_at.isoformat()}">${date(instance.created_at)}</time></dd></div>
</dl>
${bot.actions(instance, choices, "dashboard")}
</li>
% endfor
</ul>
% else:
<section class="panel empty" aria-labelledby="none-yet">
<h2 id="none-yet">No bots yet</h2>
<p>Give one a name, choose a model and a chat network; it runs in under a minute.</p>
<p><a class="button primary" href="/dashboard/new">Create New Instance</a></p>
</section>
% endif
</div>
</%block>
