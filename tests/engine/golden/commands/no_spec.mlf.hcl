# --- steps
# --- run validate
# --- run plan --chdir=nowhere
# --- tell fmt nowhere.mlf.hcl
# --- bytes main.mlf.hcl ff00
# --- run validate
# --- tell fmt main.mlf.hcl
