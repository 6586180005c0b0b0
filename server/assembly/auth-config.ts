// authConfigOf: the part of the configuration that verifies access tokens.
import type { AuthConfig } from '../auth/authenticator.ts'
import type { Config } from '../config/config.ts'

export function authConfigOf(config: Config): AuthConfig {
  return {
    jwtSecret: config.jwtSecret,
    jwtSecretFile: config.jwtSecretFile,
    jwksUrl: config.jwksUrl,
    jwksKeep: config.jwksKeep,
    issuer: config.jwtIssuer,
    audience: config.jwtAudience,
    clockSkew: config.jwtClockSkew,
    userClaim: config.jwtUserClaim,
    nameClaim: config.jwtNameClaim,
    roleClaim: config.jwtRoleClaim,
    limitsClaim: config.jwtLimitsClaim,
  }
}
