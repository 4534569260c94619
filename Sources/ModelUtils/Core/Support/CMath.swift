#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The C library's functions, which torch, NumPy and Python call too.
package enum CMath {
  package static func acos(_ x: Double) -> Double { arcCosine(x) }
  package static func acosh(_ x: Double) -> Double { arcHyperbolicCosine(x) }
  package static func asin(_ x: Double) -> Double { arcSine(x) }
  package static func asinh(_ x: Double) -> Double { arcHyperbolicSine(x) }
  package static func atan(_ x: Double) -> Double { arcTangent(x) }
  package static func atanh(_ x: Double) -> Double { arcHyperbolicTangent(x) }
  package static func atan2(_ y: Double, _ x: Double) -> Double { arcTangent(y, x) }
  package static func cosh(_ x: Double) -> Double { hyperbolicCosine(x) }
  package static func sinh(_ x: Double) -> Double { hyperbolicSine(x) }
  package static func cos(_ x: Double) -> Double { cosine(x) }
  package static func erf(_ x: Double) -> Double { errorFunction(x) }
  package static func exp(_ x: Double) -> Double { exponential(x) }
  package static func expm1(_ x: Double) -> Double { exponentialMinusOne(x) }
  package static func hypot(_ x: Double, _ y: Double) -> Double { hypotenuse(x, y) }
  package static func log(_ x: Double) -> Double { logarithm(x) }
  package static func log2(_ x: Double) -> Double { binaryLogarithm(x) }
  package static func log1p(_ x: Double) -> Double { logOnePlus(x) }
  package static func pow(_ x: Double, _ y: Double) -> Double { raised(x, y) }
  package static func sin(_ x: Double) -> Double { sine(x) }
  package static func tan(_ x: Double) -> Double { tangent(x) }
  package static func tanh(_ x: Double) -> Double { hyperbolicTangent(x) }
}

// Inside the enum its own names would hide the library's.

private func cosine(_ x: Double) -> Double { cos(x) }
private func errorFunction(_ x: Double) -> Double { erf(x) }
private func exponential(_ x: Double) -> Double { exp(x) }
private func exponentialMinusOne(_ x: Double) -> Double { expm1(x) }
private func hypotenuse(_ x: Double, _ y: Double) -> Double { hypot(x, y) }
private func logarithm(_ x: Double) -> Double { log(x) }
private func binaryLogarithm(_ x: Double) -> Double { log2(x) }
private func logOnePlus(_ x: Double) -> Double { log1p(x) }
private func raised(_ x: Double, _ y: Double) -> Double { pow(x, y) }
private func sine(_ x: Double) -> Double { sin(x) }
private func tangent(_ x: Double) -> Double { tan(x) }
private func hyperbolicTangent(_ x: Double) -> Double { tanh(x) }
private func arcCosine(_ x: Double) -> Double { acos(x) }
private func arcTangent(_ y: Double, _ x: Double) -> Double { atan2(y, x) }
private func arcHyperbolicCosine(_ x: Double) -> Double { acosh(x) }
private func arcSine(_ x: Double) -> Double { asin(x) }
private func arcHyperbolicSine(_ x: Double) -> Double { asinh(x) }
private func arcTangent(_ x: Double) -> Double { atan(x) }
private func arcHyperbolicTangent(_ x: Double) -> Double { atanh(x) }
private func hyperbolicCosine(_ x: Double) -> Double { cosh(x) }
private func hyperbolicSine(_ x: Double) -> Double { sinh(x) }
