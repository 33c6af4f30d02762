<%inherit file="base.mako"/>
<%block name="title">Dashboard</%block>
<%! continued = "\\" %>\
<%block name="account">
<div class="account"><span class="who"><span class="wide">Signed in as </span><bdi>${identity.user_id}</bdi></span>
% if identity.ambient:
<form method="post" action="/sign-out"><button class="button" type="submit">Sign out</button></form>
% endif
</div>
</%block>
<h1>Your bots</h1>
% if page.instances:
<ul class="cards">
% for instance in page.instances:
<li class="card">
<div class="card-head">
<h2><bdi>${instance.name}</bdi></h2>
<span class="badge ${instance.status.value}">${instance.status.value.capitalize()}</span>
</div>
% if instance.detail:
<p class="reason"><bdi>${instance.detail}</bdi></p>
% endif
<dl>
<div><dt>Model</dt><dd>${instance.model}</dd></div>
<div><dt>Channel</dt><dd>${instance.channel}</dd></div>
<div><dt>Created</dt><dd><time datetime="${instance.created_at.isoformat()}">${date(instance.created_at)}</time></dd></div>
<div><dt>Id</dt><dd><code>${instance.id}</code></dd></div>
</dl>
</li>
% endfor
</ul>
% if page.next_cursor:
<p><a class="button" href="/dashboard?cursor=${page.next_cursor | u}">Older bots</a></p>
% endif
% else:
<section class="panel empty" aria-labelledby="none-yet">
<h2 id="none-yet">No bots yet</h2>
<p>This page cannot make one yet; the API can. On the server, in the folder of ClawDeploy:</p>
<pre tabindex="0"><code>TOKEN=$(.venv/bin/clawdeploy token create ${shell_name})
curl -X POST ${address}/api/instances ${continued}
  -H "Authorization: Bearer $TOKEN" ${continued}
  -H "Content-Type: application/json" ${continued}
  -d '{"name": "My first bot", "model": "gpt-5.2", "channel": "telegram"}'</code></pre>
<p>Then reload this page.</p>
</section>
% endif
