#include <stddef.h>
#include <stdint.h>
struct node { struct node *next; int v; double d; };
static struct node *head; int counter = 5; const char *names[] = {"alpha","beta","gamma"}; static const double tbl[4]={1.5,2.5,3.5,4.5};
__thread int tls_var = 3; extern __thread int tls_ext; char buf[4096]; static int st[10]; __attribute__((weak)) int weakv; float ff=1.25f;
int add(int a,int b){return a+b;}
double poly(double x){double r=0;for(int i=0;i<4;i++)r=r*x+tbl[i];return r;}
int sw(int x){switch(x){case 0:return 5;case 1:return 7;case 2:return 11;case 3:return 22;case 4: return 9;case 5: return 1; case 6: return 100; default:return -1;}}
void ins(struct node*n){n->next=head;head=n;counter++;tls_var+=counter;tls_ext=2;}
size_t len(const char*s){size_t n=0;while(*s++)n++;return n;}
uint64_t mulhi(uint64_t a,uint64_t b){return ((__uint128_t)a*b)>>64;}
int cas(int*p,int a,int b){return __atomic_compare_exchange_n(p,&a,b,0,5,5);}
long amo(long*p){return __atomic_fetch_add(p,5,4)+__atomic_exchange_n(p,3,2);}
float conv(int a,unsigned long b,double c){return a+(float)b+(float)c+ff;}
extern int ext(int,...); int (*fp)(int,int)=add;
int main(int argc,char**argv){for(int i=0;i<argc;i++){ext(len(argv[i]),names[i%3],buf,st[i%10]+weakv);}  if(argc>3) ins((struct node*)buf); return fp(sw(argc),counter)+(int)poly(argc);}
void big(void){volatile char x[5000]; x[4000]=1; ext(1,x); asm volatile("csrr t0, mstatus\n\tfence.i\n\tsfence.vma"); }
__attribute__((constructor)) void ctor(void){counter=1;}
__attribute__((section(".mysec"))) int insec(void){return 0x12345678;}
static __attribute__((noinline)) unsigned h(unsigned x){return x*2654435761u>>7;}
unsigned hash(unsigned*p,int n){unsigned r=0;for(int i=0;i<n;i++)r^=h(p[i]);return r;}
