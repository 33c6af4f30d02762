<%inherit file="signed_in.mako"/>
<%namespace name="bot" file="components/bot.mako"/>
<%namespace name="engine" file="components/engine.mako"/>
<%block name="title">Dashboard</%block>
<%block name="scripts">
<link rel="stylesheet" href="${static('dashboard.css')}">
<script src="${static('live.js')}" type="module"></script>
</%block>
<% some = sum(found.counts.values()) > 8 or asked.text or asked.status %>
<div class="page-head">
<h1>Your bots</h1>
<p class="aside needs-script" data-updated>Updated just now</p>
<a class="button primary" href="/dashboard/new">New bot</a>
</div>
% if some:
<form class="find" method="get" action="/dashboard" role="search" hx-ext="morph" hx-get="/dashboard" hx-target="#live"
 hx-swap="morph:outerHTML" hx-trigger="submit, input changed delay:300ms from:#q" hx-sync="#live:replace" hx-replace-url="true">
<label class="unseen" for="q">Search your bots by name</label>
<input id="q" name="q" type="search" maxlength="100" autocomplete="off" placeholder="Search by name" value="${asked.text}">
% if asked.status:
<input type="hidden" name="status" value="${asked.status}">
% endif
<button class="button" type="submit">Search</button>
</form>
% endif
<%block name="live">
<% everything = sum(found.counts.values()) %>
<div id="live" class="live${' stale' if silent_since or is_old else ''}" hx-ext="morph" hx-get="${asked.address()}" hx-trigger="refresh, changed from:body" hx-swap="morph:outerHTML" hx-sync="this:replace" data-changing="${int(changing)}">
${engine.banner(silent_since, known_at, is_old, "bots")}
% if everything > 8 or asked.status:
<nav aria-label="Filter by status">
<ul class="chips" id="chips">
<li><a class="chip" href="${asked.address(status='', page=1)}" ${'' if asked.status else 'aria-current=true'}>All <span class="count">${f"{everything:,}"}</span></a></li>
% for status in statuses:
% if found.counts.get(status) or asked.status == status:
<li><a class="chip" href="${asked.address(status=status.value, page=1)}" ${'aria-current=true' if asked.status == status else ''}>${status.value.capitalize()} <span class="count">${f"{found.counts.get(status, 0):,}"}</span></a></li>
% endif
% endfor
</ul>
</nav>
% endif
% if found.instances:
<ul class="cards" id="cards">
% for instance in found.instances:
<li class="card" id="bot-${instance.id}">
<div class="card-head">
<h2><a href="/dashboard/instances/${instance.id}"><bdi>${instance.name}</bdi></a></h2>
${bot.badge(instance)}
</div>
<p class="reason">\
% if instance.detail:
<bdi>${instance.detail}</bdi>\
% else:
<span class="aside">Since <time datetime="${instance.status_since.isoformat()}">${date(instance.status_since)}</time></span>\
% endif
</p>
<dl>
<div><dt>Model</dt><dd>${labels.get(instance.model, instance.model)}</dd></div>
<div><dt>Channel</dt><dd>${labels.get(instance.channel, instance.channel)}</dd></div>
<div><dt>Address</dt><dd>\
% if address_of(instance) and instance.status == "running":
<a href="${address_of(instance)}" target="_blank" rel="noopener">${address_of(instance)}</a>\
% else:
<span class="aside">once it answers</span>\
% endif
</dd></div>
<div><dt>Created</dt><dd><time datetime="${instance.created_at.isoformat()}">${date(instance.created_at)}</time></dd></div>
</dl>
${bot.actions(instance, choices, "dashboard")}
</li>
% endfor
</ul>
% if found.total > len(found.instances):
<nav class="turn" id="turn" aria-label="Pages">
<p class="aside">${f"{offset + 1:,}–{offset + len(found.instances):,} of {found.total:,}"}</p>
% if asked.number > 1:
<a class="button" href="${asked.address(page=asked.number - 1)}">Newer</a>
% endif
% if offset + len(found.instances) < found.total:
<a class="button" href="${asked.address(page=asked.number + 1)}">Older</a>
% endif
</nav>
% endif
% elif asked.text or asked.status or asked.number > 1:
<section class="panel empty" id="nothing-found" aria-labelledby="nothing-found-title">
<h2 id="nothing-found-title">No bot found</h2>
<p>\
% if asked.text:
None of your bots${f" that are {asked.status}" if asked.status else ""} has “<bdi>${asked.text}</bdi>” in its name.\
% elif asked.status:
None of your bots is ${asked.status} right now.\
% else:
This page of the list is empty.\
% endif
</p>
<p><a class="button" href="/dashboard">Show all bots</a></p>
</section>
% else:
<section class="panel empty" id="none-yet" aria-labelledby="none-yet-title">
<h2 id="none-yet-title">No bots yet</h2>
<p>Give one a name, choose a model and a chat network, and it runs in under a minute. You can change your mind later:
stopping, starting and deleting a bot is one click.</p>
<p><a class="button primary" href="/dashboard/new">Create New Instance</a></p>
</section>
% endif
</div>
</%block>
