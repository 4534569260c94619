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
