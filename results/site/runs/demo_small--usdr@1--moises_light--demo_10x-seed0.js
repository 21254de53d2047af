keepFrames("runs/demo_small--usdr@1--moises_light--demo_10x-seed0.js",[
{"step":1.0,"frames":{"vocals uSDR":[148],"drums uSDR":[229],"bass uSDR":[467],"other uSDR":[209]}},
{"step":1.0,"frames":{"vocals uSDR":[372],"drums uSDR":[654],"bass uSDR":[558],"other uSDR":[404]}},
{"step":1.0,"frames":{"vocals uSDR":[365],"drums uSDR":[770],"bass uSDR":[234],"other uSDR":[161]}},
{"step":1.0,"frames":{"vocals uSDR":[455],"drums uSDR":[844],"bass uSDR":[690],"other uSDR":[454]}},
{"step":1.0,"frames":{"vocals uSDR":[50],"drums uSDR":[618],"bass uSDR":[148],"other uSDR":[117]}},
{"step":1.0,"frames":{"vocals uSDR":[437],"drums uSDR":[356],"bass uSDR":[145],"other uSDR":[355]}}
]);
