keepFrames("runs/demo_small--usdr@1--tflocoformer_mss--demo_10x-seed0.js",[
{"step":1.0,"frames":{"vocals uSDR":[470],"drums uSDR":[387],"bass uSDR":[588],"other uSDR":[422]}},
{"step":1.0,"frames":{"vocals uSDR":[555],"drums uSDR":[889],"bass uSDR":[718],"other uSDR":[526]}},
{"step":1.0,"frames":{"vocals uSDR":[443],"drums uSDR":[916],"bass uSDR":[273],"other uSDR":[211]}},
{"step":1.0,"frames":{"vocals uSDR":[704],"drums uSDR":[993],"bass uSDR":[769],"other uSDR":[650]}},
{"step":1.0,"frames":{"vocals uSDR":[329],"drums uSDR":[959],"bass uSDR":[316],"other uSDR":[447]}},
{"step":1.0,"frames":{"vocals uSDR":[532],"drums uSDR":[509],"bass uSDR":[234],"other uSDR":[430]}}
]);
