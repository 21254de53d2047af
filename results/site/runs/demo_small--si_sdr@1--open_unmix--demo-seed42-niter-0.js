keepFrames("runs/demo_small--si_sdr@1--open_unmix--demo-seed42-niter-0.js",[
{"step":1.0,"frames":{"vocals SI-SDR":[-74],"drums SI-SDR":[-70],"bass SI-SDR":[213],"other SI-SDR":[-104]}},
{"step":1.0,"frames":{"vocals SI-SDR":[52],"drums SI-SDR":[519],"bass SI-SDR":[315],"other SI-SDR":[99]}},
{"step":1.0,"frames":{"vocals SI-SDR":[34],"drums SI-SDR":[687],"bass SI-SDR":[-144],"other SI-SDR":[-273]}},
{"step":1.0,"frames":{"vocals SI-SDR":[119],"drums SI-SDR":[695],"bass SI-SDR":[435],"other SI-SDR":[168]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-162],"drums SI-SDR":[511],"bass SI-SDR":[-281],"other SI-SDR":[-39]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-76],"drums SI-SDR":[90],"bass SI-SDR":[-250],"other SI-SDR":[-61]}}
]);
