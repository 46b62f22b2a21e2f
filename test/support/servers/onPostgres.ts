process.env.ANYPOD_BACKEND = 'postgres';
