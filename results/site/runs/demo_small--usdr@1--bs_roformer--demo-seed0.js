keepFrames("runs/demo_small--usdr@1--bs_roformer--demo-seed0.js",[
{"step":1.0,"frames":{"vocals uSDR":[126],"drums uSDR":[134],"bass uSDR":[304],"other uSDR":[194]}},
{"step":1.0,"frames":{"vocals uSDR":[202],"drums uSDR":[285],"bass uSDR":[302],"other uSDR":[277]}},
{"step":1.0,"frames":{"vocals uSDR":[234],"drums uSDR":[358],"bass uSDR":[65],"other uSDR":[162]}},
{"step":1.0,"frames":{"vocals uSDR":[186],"drums uSDR":[309],"bass uSDR":[346],"other uSDR":[238]}},
{"step":1.0,"frames":{"vocals uSDR":[203],"drums uSDR":[342],"bass uSDR":[104],"other uSDR":[182]}},
{"step":1.0,"frames":{"vocals uSDR":[219],"drums uSDR":[234],"bass uSDR":[76],"other uSDR":[252]}}
]);
