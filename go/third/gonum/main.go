// Gonum computes with its assembly kernels and its own parallel matrix product. Printed are digests of exact results: one wrong
// bit in a vector register shows.
package main

import (
	"crypto/sha256"
	"fmt"
	"math"
	"math/rand"

	"gonum.org/v1/gonum/dsp/fourier"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/optimize"
	"gonum.org/v1/gonum/stat"
)

func digest(values []float64) string {
	h := sha256.New()
	for _, value := range values {
		fmt.Fprintf(h, "%x ", math.Float64bits(value))
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:8])
}

func main() {
	random := rand.New(rand.NewSource(1))
	const n = 300
	square := func() *mat.Dense {
		m := mat.NewDense(n, n, nil)
		m.Apply(func(int, int, float64) float64 { return random.NormFloat64() }, m)
		return m
	}
	a, b := square(), square()
	var product, inverse, identity mat.Dense
	product.Mul(a, b)
	fmt.Println("product", digest(product.RawMatrix().Data))
	fmt.Println(inverse.Inverse(a))
	identity.Mul(a, &inverse)
	trace := mat.Trace(&identity)
	fmt.Printf("inverse %s %.9f\n", digest(inverse.RawMatrix().Data), trace)
	var svd mat.SVD
	fmt.Println(svd.Factorize(a, mat.SVDNone), digest(svd.Values(nil)))
	var eigen mat.Eigen
	fmt.Println(eigen.Factorize(b, mat.EigenNone), len(eigen.Values(nil)))

	signal := make([]float64, 1<<14)
	for i := range signal {
		signal[i] = math.Sin(float64(i)/7) + random.Float64()
	}
	fft := fourier.NewFFT(len(signal))
	back := fft.Sequence(nil, fft.Coefficients(nil, signal))
	floats.Scale(1/float64(len(signal)), back)
	fmt.Println("transform", digest(back), floats.EqualApprox(back, signal, 1e-9))
	mean, deviation := stat.MeanStdDev(signal, nil)
	fmt.Printf("statistics %.12f %.12f\n", mean, deviation)

	rosenbrock := optimize.Problem{Func: func(x []float64) float64 {
		return 100*math.Pow(x[1]-x[0]*x[0], 2) + math.Pow(1-x[0], 2)
	}}
	result, err := optimize.Minimize(rosenbrock, []float64{-1, 2}, nil, &optimize.NelderMead{})
	fmt.Println(err, math.Abs(result.X[0]-1) < 1e-3, result.FuncEvaluations)
}
