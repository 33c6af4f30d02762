## What is said above bots whose state cannot be known now.
<%def name="banner(silent_since, known_at, is_old, bots)">\
% if silent_since:
<p class="banner warning" id="engine-silent">Docker has not answered since <time datetime="${silent_since.isoformat()}">${date(silent_since)}</time>.\
% if known_at:
 What you see is how it was on <time datetime="${known_at.isoformat()}">${date(known_at)}</time>; your ${bots} may well be running.\
% endif
</p>
% elif is_old:
<p class="banner warning" id="not-looked-at">Since <time datetime="${known_at.isoformat()}">${date(known_at)}</time> nobody could look at your ${bots}. What you see is how it was then, and it may be different now.</p>
% endif
</%def>
