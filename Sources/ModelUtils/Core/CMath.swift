#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

// The C library's functions, which torch, NumPy and Python call too.

func logOnePlus(_ x: Double) -> Double { log1p(x) }
package func logarithm(_ x: Double) -> Double { log(x) }
func sine(_ x: Double) -> Double { sin(x) }
func cosine(_ x: Double) -> Double { cos(x) }
func errorFunction(_ x: Double) -> Double { erf(x) }

/// The same under the library's names, where ours would hide them.
enum CMath {
  static func cos(_ x: Double) -> Double { cosine(x) }
  static func erf(_ x: Double) -> Double { errorFunction(x) }
  static func exp(_ x: Double) -> Double { exponential(x) }
  static func expm1(_ x: Double) -> Double { exponentialMinusOne(x) }
  static func log(_ x: Double) -> Double { logarithm(x) }
  static func log1p(_ x: Double) -> Double { logOnePlus(x) }
  static func pow(_ x: Double, _ y: Double) -> Double { raised(x, y) }
  static func sin(_ x: Double) -> Double { sine(x) }
  static func tan(_ x: Double) -> Double { tangent(x) }
  static func tanh(_ x: Double) -> Double { hyperbolicTangent(x) }
}

private func exponential(_ x: Double) -> Double { exp(x) }
private func exponentialMinusOne(_ x: Double) -> Double { expm1(x) }
private func raised(_ x: Double, _ y: Double) -> Double { pow(x, y) }
private func tangent(_ x: Double) -> Double { tan(x) }
private func hyperbolicTangent(_ x: Double) -> Double { tanh(x) }
