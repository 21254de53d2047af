keepFrames("runs/demo_small--usdr@1--bs_roformer--demo_10x-seed0.js",[
{"step":1.0,"frames":{"vocals uSDR":[166],"drums uSDR":[235],"bass uSDR":[458],"other uSDR":[193]}},
{"step":1.0,"frames":{"vocals uSDR":[274],"drums uSDR":[609],"bass uSDR":[518],"other uSDR":[360]}},
{"step":1.0,"frames":{"vocals uSDR":[243],"drums uSDR":[628],"bass uSDR":[140],"other uSDR":[187]}},
{"step":1.0,"frames":{"vocals uSDR":[56],"drums uSDR":[641],"bass uSDR":[618],"other uSDR":[202]}},
{"step":1.0,"frames":{"vocals uSDR":[111],"drums uSDR":[771],"bass uSDR":[188],"other uSDR":[122]}},
{"step":1.0,"frames":{"vocals uSDR":[288],"drums uSDR":[398],"bass uSDR":[166],"other uSDR":[280]}}
]);
