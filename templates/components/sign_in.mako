## The scripts of the way to sign in that is in use; they load by themselves and hold up nothing of ours.
<%def name="scripts(sign_in)">\
% for script in sign_in.scripts:
<script src="${script.address}"\
% if script.module:
 type="module"\
% endif
% for name, value in script.attributes.items():
 ${name}="${value}"\
% endfor
></script>
% endfor
</%def>
