<%inherit file="signed_in.mako"/>
<%block name="title">Account</%block>
<%block name="scripts">
<link rel="stylesheet" href="${static('account.css')}">
<script src="${static('account.js')}" type="module"></script>
<script src="${static('copy.js')}" type="module"></script>
</%block>
<div class="page-head">
<h1>Account</h1>
<p class="aside">Signed in as <bdi>${identity.user_id}</bdi></p>
</div>
% if told:
<p class="banner success" role="status">${told}</p>
% endif
% for section, records in sections:
<section class="panel wide-panel" aria-labelledby="title-${section.kind}">
<h2 id="title-${section.kind}">${section.title}</h2>
<p class="aside">${section.help}</p>
% if made and kind == section.kind:
<div class="made" role="status">
<p><strong>Copy it now.</strong> It is shown this once; only a hash of it is kept.</p>
<p class="made-value"><code id="made">${made}</code>
<button class="button needs-script" type="button" data-copies="made">Copy</button></p>
</div>
% endif
% if records:
<ul class="credentials">
% for record in records:
<li id="credential-${record.id}">
<div class="credential">
<p class="credential-name"><bdi>${record.label or "Unnamed"}</bdi>\
% if record.expires_at is None:
 <span class="badge pending">No expiry</span>\
% endif
% if record.id == identity.credential_id:
 <span class="badge running">This browser</span>\
% endif
</p>
<p class="aside">Made <time datetime="${record.created_at.isoformat()}">${date(record.created_at)}</time>,
% if record.last_used_at:
last used <time datetime="${record.last_used_at.isoformat()}">${date(record.last_used_at)}</time>,
% else:
never used,
% endif
% if record.expires_at:
ends <time datetime="${record.expires_at.isoformat()}">${date(record.expires_at)}</time>.
% else:
does not end by itself.
% endif
</p>
</div>
% if identity.ambient:
<form method="post" action="/dashboard/account/${section.kind}/${record.id}/end">
<button class="button danger" type="submit">${section.end}<span class="unseen"> ${record.label or record.id}</span></button>
</form>
% endif
</li>
% endfor
</ul>
% if section.end_all and identity.ambient:
<form method="post" action="/dashboard/account/${section.kind}/end-all">
<button class="button danger" type="submit">${section.end_all}</button>
</form>
% endif
% else:
<p class="none">${section.empty}</p>
% endif
% if section.prefix is not None and identity.ambient:
<% wrong = errors if kind == section.kind else {} %>
<% typed = form if kind == section.kind else {"lifetime": form["lifetime"]} %>
<form class="new-credential" method="post" action="/dashboard/account/${section.kind}">
<div class="field">
<label for="name-${section.kind}">Name</label>
<input id="name-${section.kind}" name="name" required maxlength="100" autocomplete="off" value="${typed.get("name", "")}"\
 placeholder="What will use it?"\
% if "name" in wrong:
 aria-invalid="true" aria-describedby="name-wrong-${section.kind}" autofocus\
% endif
>
% if "name" in wrong:
<p class="wrong" id="name-wrong-${section.kind}">${" ".join(wrong["name"])}</p>
% endif
</div>
<div class="field">
<label for="lifetime-${section.kind}">Works for</label>
<select id="lifetime-${section.kind}" name="lifetime"\
% if "lifetime" in wrong:
 aria-invalid="true" aria-describedby="lifetime-wrong-${section.kind}"\
% endif
>
% for value, label in lifetimes.items():
<option value="${value}"\
% if value == typed.get("lifetime"):
 selected\
% endif
>${label}</option>
% endfor
</select>
% if "lifetime" in wrong:
<p class="wrong" id="lifetime-wrong-${section.kind}">${" ".join(wrong["lifetime"])}</p>
% endif
</div>
<button class="button primary" type="submit">Create token</button>
</form>
% endif
</section>
% endfor
<section class="panel wide-panel" aria-labelledby="title-lately">
<h2 id="title-lately">Lately</h2>
<p class="aside">What was done with your sessions and tokens. Revoke what you do not know, and tell whoever runs this server.</p>
% if happened:
<ul class="credentials">
% for told_of, entry in happened:
<li>
<div class="credential">
<p class="credential-name">${told_of}\
% if entry.detail:
: <bdi>${entry.detail}</bdi>\
% endif
</p>
<p class="aside"><time datetime="${entry.at.isoformat()}">${date(entry.at)}</time>\
% if entry.who != identity.user_id:
, by <bdi>${entry.who}</bdi>\
% endif
% if entry.address:
, from ${entry.address}\
% endif
</p>
</div>
</li>
% endfor
</ul>
% else:
<p class="none">Nothing is recorded.</p>
% endif
</section>
