keepFrames("runs/demo_small--usdr@1--open_unmix--demo-seed42.js",[
{"step":1.0,"frames":{"vocals uSDR":[194],"drums uSDR":[258],"bass uSDR":[415],"other uSDR":[249]}},
{"step":1.0,"frames":{"vocals uSDR":[384],"drums uSDR":[706],"bass uSDR":[521],"other uSDR":[361]}},
{"step":1.0,"frames":{"vocals uSDR":[327],"drums uSDR":[785],"bass uSDR":[226],"other uSDR":[120]}},
{"step":1.0,"frames":{"vocals uSDR":[371],"drums uSDR":[850],"bass uSDR":[597],"other uSDR":[422]}},
{"step":1.0,"frames":{"vocals uSDR":[183],"drums uSDR":[611],"bass uSDR":[-40],"other uSDR":[282]}},
{"step":1.0,"frames":{"vocals uSDR":[174],"drums uSDR":[293],"bass uSDR":[140],"other uSDR":[253]}}
]);
